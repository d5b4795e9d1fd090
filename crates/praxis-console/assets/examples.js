// Texts for who wants to see what this does, and fields that go with them.

const LINES = [
  "Where is my parcel? It should have come on Monday.",
  "我的包裹到哪里了？三天前就应该送到。",
  "The tracking page has not changed for a week.",
  "I was charged twice for one order.",
  "发票上的金额不对，请更正。",
  "Please send me an invoice with our VAT number.",
  "The app crashes when I open the settings.",
  "App 一打开设置页面就闪退。",
  "After the update the sound is gone.",
  "How do I change my password?",
  "怎么修改登录密码？",
  "Can I pay by bank transfer?",
];

/** What the example fills in. */
export const EXAMPLE = {
  lines: LINES.join("\n"),
  query: "Where does my order stay?",
  labels: [
    "delivery: Where is my parcel? It has not arrived.",
    "delivery: 快递什么时候到？",
    "billing: There is a mistake in my invoice, I paid too much.",
    "billing: 请问怎么付款和开发票？",
    "defect: Something in the app does not work any more.",
    "account: How do I log in or change my password?",
  ].join("\n"),
  liked: [LINES[0]],
  disliked: [LINES[3]],
};
