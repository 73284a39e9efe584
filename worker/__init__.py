"""The job system between the service and the library."""
