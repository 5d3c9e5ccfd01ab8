// A worker that writes to the console: page.py must see it.
console.error('from a worker');
postMessage(0);
