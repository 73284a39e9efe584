"""What people see: pages rendered on the server, over the same records and through the same code as the HTTP API."""
