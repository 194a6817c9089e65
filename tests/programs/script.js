// Node: promises, timers, files, a child, a worker thread, streams, crypto.
const fs = require('fs');
const os = require('os');
const path = require('path');
const crypto = require('crypto');
const zlib = require('zlib');
const { execFileSync } = require('child_process');
const { Worker } = require('worker_threads');

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'n-'));
  await fs.promises.writeFile(path.join(folder, 'a'), 'hello');
  console.log(fs.readFileSync(path.join(folder, 'a'), 'utf8'));
  console.log(execFileSync('echo', ['from a child']).toString().trim());
  console.log(crypto.createHash('sha256').update('x').digest('hex').slice(0, 8));
  console.log(zlib.gunzipSync(zlib.gzipSync('packed')).toString());
  await new Promise((resolve) => setTimeout(resolve, 10));
  const worker = new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true });
  console.log(await new Promise((resolve) => worker.once('message', resolve)));
}

main();
