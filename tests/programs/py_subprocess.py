"""Children: captured output, a pipeline, a time-out, a signal, a shell."""
import subprocess

print(subprocess.run(["sort"], input=b"b\na\n", capture_output=True, check=True).stdout)
first = subprocess.Popen(["seq", "100"], stdout=subprocess.PIPE)
second = subprocess.Popen(["wc", "-l"], stdin=first.stdout, stdout=subprocess.PIPE)
first.stdout.close()
print(int(second.communicate()[0]), first.wait())
try:
    subprocess.run(["sleep", "60"], timeout=0.1)
except subprocess.TimeoutExpired:
    print("timed out")
print(subprocess.run("kill -9 $$", shell=True).returncode)
