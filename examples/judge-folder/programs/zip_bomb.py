# A small compressed block that unpacks to one gigabyte, unpacked in one go.
# expect: memory_limit
import zlib

packer = zlib.compressobj(9)
block = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush(zlib.Z_FULL_FLUSH)
print(len(block), "bytes make 64 megabytes")
unpacker = zlib.decompressobj()
print(len(b"".join(unpacker.decompress(block if n == 0 else block[2:]) for n in range(16))), "bytes unpacked")
