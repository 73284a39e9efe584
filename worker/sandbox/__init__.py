"""What a job's process may do, given up once and for ever by the process itself: kernel features, no privileges.

Three walls, each of which holds where another is missing: Landlock (which files), seccomp (which system calls),
resource limits (how much). An ordinary user in a container has all three; user namespaces it has not.
"""

from worker.sandbox.confinement import Confinement, SandboxError
from worker.sandbox.enter import Isolation, available, enter

__all__ = ["Confinement", "Isolation", "SandboxError", "available", "enter"]
