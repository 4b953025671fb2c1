// What npos (npm, MIT), a parser that we did not write, reads in our bytes: one line of JSON.
const fs = require("fs");
const npos = require(process.argv[2] + "/npos");
const data = fs.readFileSync(process.argv[3]);
npos.parser().parse(data).then((ast) => {
  const text = ast.tree
    .filter((node) => node.ascii === "STX")
    .map((node) => data.subarray(node.offset, node.offset + node.length).toString("hex"));
  const commands = ast.tree.map((node) => `${node.ascii} ${node.fn}`.trim());
  const images = ast.tree
    .filter((node) => node.fn === "v0")
    .map((node) => [node.width, node.height]);
  console.log(JSON.stringify({ error: ast.error || null, text, commands, images }));
});
