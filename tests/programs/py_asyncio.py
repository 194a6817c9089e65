"""An event loop with tasks, a subprocess, a time-out, a thread, and a signal handler."""
import asyncio
import os
import signal


async def main():
    print(await asyncio.gather(*(asyncio.sleep(0.01, number) for number in range(3))))
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print((await process.communicate(b"through cat"))[0])
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.05)
    except TimeoutError:
        print("timed out")
    print(await asyncio.to_thread(sum, range(10)))
    caught = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, caught.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await caught.wait()
    print("caught")


asyncio.run(main())
