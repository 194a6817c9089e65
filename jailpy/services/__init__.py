"""What is built on the api: doctor, selftest. Optional; nothing on the way to execve imports it. Parent side."""
