# expect: SV
import socket

answers = socket.create_connection(('192.0.2.1', 80), timeout=1)
print(answers.recv(100).decode())
