// Sums up an inventory, asynchronously: an honest submission.
// expect: ok
// options: --runtime node
const items = Array.from({ length: 1000 }, (_, n) => ({ price: n % 17, amount: n % 5 }));

async function worth(list) {
  const parts = await Promise.all(list.map(async (item) => item.price * item.amount));
  return parts.reduce((sum, part) => sum + part, 0);
}

worth(items).then((sum) => console.log("worth:", sum));
