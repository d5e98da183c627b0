"""The pretend outside world: a Safaricom and a Mifos X as real HTTP servers, with faults on demand."""
