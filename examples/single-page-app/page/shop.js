// Talks to the gateway it came from, and holds no token: the browser sends a
// cookie that no script can read.

const at = (id) => document.getElementById(id);
const form = at("order");
const DRAFT = "draft";

/** Calls this site; the header is what no other site can send. */
async function call(path, options = {}) {
  const headers = { "X-CSRF": "1", ...options.headers };
  return fetch(path, { ...options, headers, redirect: "error" });
}

/** Goes to sign in, and comes back here. What is half filled in stays. */
function signIn() {
  keep();
  location.assign("/auth/sign-in?return_to=/");
}

/** Keeps what is in the form, under the key that it will be sent with. */
function keep(sending = false) {
  const draft = { ...read(), sending: sending || read().sending };
  draft.item = form.item.value;
  draft.number = form.number.value;
  draft.key ||= crypto.randomUUID();
  sessionStorage.setItem(DRAFT, JSON.stringify(draft));
  return draft;
}

function read() {
  return JSON.parse(sessionStorage.getItem(DRAFT) || "{}");
}

/** Sends the order: again and again it is the same one, by its key. */
async function send() {
  const draft = keep(true);
  const order = { item: draft.item, number: Number(draft.number) };
  const answer = await call("/api/orders", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": draft.key },
    body: JSON.stringify(order),
  });
  if (answer.status === 401) return signIn();
  if (!answer.ok) {
    at("told").textContent = "It was not ordered yet. Please try again.";
    return;
  }
  sessionStorage.removeItem(DRAFT);
  form.reset();
  at("told").textContent = `Ordered: ${order.number} × ${order.item}.`;
  await list();
}

async function list() {
  const answer = await call("/api/orders");
  if (!answer.ok) return;
  const orders = await answer.json();
  at("none").hidden = orders.length > 0;
  at("orders").replaceChildren(
    ...orders.map((order) => {
      const line = document.createElement("li");
      line.textContent = `${order.number} × ${order.item}`;
      return line;
    }),
  );
}

async function begin() {
  const draft = read();
  if (draft.key) {
    form.item.value = draft.item;
    form.number.value = draft.number;
  }
  const answer = await call("/auth/session");
  const isIn = answer.ok;
  at("sign-in").hidden = isIn;
  at("sign-out").hidden = !isIn;
  if (!isIn) return;
  const { claims } = await answer.json();
  at("who").hidden = false;
  at("who").textContent = claims.name ?? claims.sub;
  // What was about to be sent when the session ended is sent now.
  if (draft.sending) return send();
  await list();
}

form.addEventListener("input", () => keep());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
at("sign-in").addEventListener("click", signIn);
at("sign-out").addEventListener("click", async () => {
  const answer = await call("/auth/sign-out", { method: "POST" });
  location.assign((await answer.json()).go_to);
});
begin();
