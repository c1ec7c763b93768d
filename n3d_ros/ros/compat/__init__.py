"""What has no wheel: one thin module each, using the distribution's package when it imports, else an own small one."""
