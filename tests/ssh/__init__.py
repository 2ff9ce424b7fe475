"""Over SSH: a real sshd, set up as docs/ssh.md says, and whoever comes to it."""
