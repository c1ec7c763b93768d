"""The running node, measured from outside: a camera and an observer, each in a process of its own, over DDS."""
