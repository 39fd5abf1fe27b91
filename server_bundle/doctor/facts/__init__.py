"""What the doctor reads of a machine: files, programs, packages. It judges nothing."""
