"""System calls that are denied to jobs, by name and number on x86_64 and aarch64 (-1: not there).

Numbers: asm/unistd_64.h and asm-generic/unistd.h. From 424 on they are the same everywhere.
"""

from collections.abc import Mapping

X86_64, AARCH64 = 0, 1
ABSENT = -1

Numbers = tuple[int, int]

FIRST_UNKNOWN = 470
"""Numbers from here on are newer than this table; they are answered as an older kernel would."""

DENIED: Mapping[str, Numbers] = {
    # other programs, and leaving the process group
    "fork": (57, ABSENT), "vfork": (58, ABSENT), "execve": (59, 221), "execveat": (322, 281),
    "setsid": (112, 157), "setpgid": (109, 154), "unshare": (272, 97), "setns": (308, 268),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "perf_event_open": (298, 241), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "ioprio_set": (251, 30),
    # what outlives a process or is shared between those of one user; memory that no limit counts
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192),
    "semctl": (66, 191), "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # files in ways that Landlock does not see, or not on every kernel
    "chmod": (90, ABSENT), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, ABSENT), "fchown": (93, 55), "lchown": (94, ABSENT), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "utime": (132, ABSENT), "utimes": (235, ABSENT), "utimensat": (280, 88),
    "futimesat": (261, ABSENT), "truncate": (76, 45), "mknod": (133, ABSENT), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "inotify_init": (253, ABSENT), "inotify_init1": (294, 26),
    # mounts
    "mount": (165, 40), "umount2": (166, 39), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "open_tree": (428, 428), "open_tree_attr": (467, 467), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "pivot_root": (155, 41), "chroot": (161, 51),
    "statmount": (457, 457), "listmount": (458, 458), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # the kernel itself, and its widest doors
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, ABSENT),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, ABSENT), "ioperm": (173, ABSENT),
    "modify_ldt": (154, ABSENT), "personality": (135, 92), "vhangup": (153, 58), "lookup_dcookie": (212, 18),
    "uselib": (134, ABSENT), "ustat": (136, ABSENT), "sysfs": (139, ABSENT), "nfsservctl": (180, 42),
    "_sysctl": (156, ABSENT),
}  # fmt: skip

CHECKED: Mapping[str, Numbers] = {
    "clone": (56, 220), "clone3": (435, 435), "openat2": (437, 437), "open": (2, ABSENT), "openat": (257, 56),
    "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "prctl": (157, 167), "fcntl": (72, 25), "socket": (41, 198),
    "socketpair": (53, 199), "connect": (42, 203), "fallocate": (285, 47), "close_range": (436, 436),
}  # fmt: skip
"""Calls that are denied or not by their arguments: `seccomp` says how."""
