"""The portal's pages about Mifos X: the connection of a partner, and the inbox of events."""
