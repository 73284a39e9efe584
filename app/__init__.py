"""What people and programs touch: the command line and, over the same library, the HTTP service."""
