"""What the kernel and systemd say of this machine: cgroups, logind, filesystems."""
