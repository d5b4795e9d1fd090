// Keeps the end of the conversation in sight for who is there, and lets others read above.

/** Whether the reader is at the end. */
export function atEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 60;
}

/** Goes to the end, where that is wanted. */
export function follow(wanted) {
  if (wanted) scrollTo({ top: document.documentElement.scrollHeight });
}
