// Asking the worker: single answers, and the stream of server-sent events.

const KEY = "keepstream-token";
const AGAIN_MS = 2_000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const keepToken = (token) => sessionStorage.setItem(KEY, token);

/** Fetch a path with the token; an answer that is none is an error with the worker's words. */
async function answer(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refused(response.status, body.error ?? response.statusText);
}

export const ask = async (path) => (await answer(path)).json();

/**
 * Follow the stream for ever. EventSource cannot show a token, so the events are read by hand.
 *
 * `handlers` takes what comes, by the name of the event; `told` is called with null when the stream is there and
 * with the error when it is not. A refusal that only people can change ends it.
 */
export async function follow(path, handlers, told) {
  for (;;) {
    try {
      const response = await answer(path);
      told(null);
      await read(response.body, handlers);
      throw new Error("the worker has closed the stream");
    } catch (error) {
      told(error);
      if (error.status === 401 || error.status === 403) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

async function read(body, handlers) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const messages = text.split("\n\n");
    text = messages.pop();
    for (const message of messages) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(message);
      handlers[name]?.(JSON.parse(data));
    }
  }
}
