# Ignores every signal, detaches itself twice, and wants to live on when the run is over.
# expect: ok
import os
import signal
import time

for number in set(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33}:
    signal.signal(number, signal.SIG_IGN)

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        while True:
            open("/work/still-alive", "w").close()
            time.sleep(0.01)
    os._exit(0)
os.wait()
time.sleep(0.1)
print("still alive:", os.path.exists("/work/still-alive"))
