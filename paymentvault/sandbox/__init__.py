"""The pretend outside world: a Safaricom and a Mifos X as HTTP servers, with faults on demand."""
