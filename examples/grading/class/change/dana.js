// expect: AC
const [amount, , ...values] = require('fs').readFileSync(0, 'utf8').split(/\s+/).filter(Boolean).map(Number);
const fewest = new Array(amount + 1).fill(amount + 1);
fewest[0] = 0;
for (const value of values)
  for (let part = value; part <= amount; part++) fewest[part] = Math.min(fewest[part], fewest[part - value] + 1);
console.log(fewest[amount] <= amount ? fewest[amount] : 'impossible');
