// Makes elements. Text always goes in as text.

/** An element with a class and a text. */
export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(text);
  return node;
}

/** Says which language a text of unknown origin is in, as far as glyphs and voices care. */
export function speak(node, text) {
  const han = text.match(/\p{Script=Han}/gu)?.length ?? 0;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const kana = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text);
  if (han && !kana && han * 5 >= letters) node.lang = "zh-Hans";
}
