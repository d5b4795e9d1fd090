// Texts out of a file: the lines of plain text, a column of a table, a field of each JSON object.

// Keys and columns that are likely to hold the text, the likeliest first.
const NAMES = ["text", "content", "body", "question", "title", "文本", "内容"];

// Of a file, at most.
const MOST_BYTES = 16 * 2 ** 20;

/** The texts of a file, each on one line. */
export async function linesOf(file) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than ${MOST_BYTES / 2 ** 20} MiB.`);
  const text = decoded(await file.arrayBuffer());
  const ending = file.name.toLowerCase().split(".").at(-1);
  const texts = { jsonl: records, ndjson: records, csv: column, tsv: column }[ending]?.(text) ?? text.split("\n");
  const lines = texts.map((line) => String(line).replace(/\s+/g, " ").trim()).filter(Boolean);
  if (!lines.length) throw new Error(`${file.name} holds no text.`);
  return lines;
}

// UTF-8, or else the encoding that files in Chinese have.
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("gb18030").decode(bytes);
  }
}

function records(text) {
  return text.split("\n").flatMap((line, at) => {
    if (!line.trim()) return [];
    let value;
    try {
      value = JSON.parse(line);
    } catch {
      throw new Error(`Line ${at + 1} is no JSON.`);
    }
    if (typeof value === "string") return [value];
    const key = NAMES.find((name) => typeof value?.[name] === "string");
    const found = key ? value[key] : Object.values(value ?? {}).find((field) => typeof field === "string");
    if (!found) throw new Error(`Line ${at + 1} has no text.`);
    return [found];
  });
}

// The column that is called like a text, else the one with the longest cells.
function column(text) {
  const rows = table(text);
  const width = Math.max(0, ...rows.map((row) => row.length));
  if (width < 2) return rows.flat();
  const head = rows[0].map((cell) => cell.trim().toLowerCase());
  const named = NAMES.map((name) => head.indexOf(name)).find((at) => at >= 0);
  if (named !== undefined) return rows.slice(1).map((row) => row[named] ?? "");
  const sizes = Array.from({ length: width }, (_, at) => rows.reduce((sum, row) => sum + (row[at]?.length ?? 0), 0));
  return rows.map((row) => row[sizes.indexOf(Math.max(...sizes))] ?? "");
}

// Rows of cells, which may be in quotes (RFC 4180). What the first line has most separates them.
function table(text) {
  const first = text.slice(0, text.indexOf("\n") + 1) || text;
  const often = (mark) => first.split(mark).length;
  const separator = ["\t", ";", ","].reduce((best, mark) => (often(mark) > often(best) ? mark : best), ",");
  const rows = [[""]];
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const [row, mark] = [rows.at(-1), text[at]];
    const cell = row.length - 1;
    if (quoted) {
      if (mark !== "\"") row[cell] += mark;
      else if (text[at + 1] === "\"") row[cell] += text[at += 1];
      else quoted = false;
    } else if (mark === "\"" && !row[cell]) quoted = true;
    else if (mark === separator) row.push("");
    else if (mark === "\n") rows.push([""]);
    else if (mark !== "\r") row[cell] += mark;
  }
  return rows.filter((row) => row.some(Boolean));
}
