# Sixteen kilobytes that unpack to sixteen megabytes, unpacked sixty-four times over: one gigabyte.
# expect: memory_limit
import zlib

block = zlib.compress(bytes(16 << 20), 9)
print(len(block), "bytes make 16 megabytes")
print(len(b"".join(zlib.decompress(block) for _ in range(64))), "bytes unpacked")
