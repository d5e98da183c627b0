"""The portal's pages about partners."""
