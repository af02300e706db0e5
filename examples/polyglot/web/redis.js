// The one thing that is wanted of Redis: send a command and see that it worked.
import net from "node:net";

export function send(...words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: "redis", port: 6379 });
    const end = (act, value) => {
      socket.destroy();
      act(value);
    };
    socket.setTimeout(1000, () => end(reject, new Error("timeout")));
    socket.on("error", (error) => end(reject, error));
    socket.on("data", (data) => {
      const reply = data.toString();
      end(reply.startsWith("-") ? reject : resolve, reply.slice(1).trim());
    });
    socket.write(`*${words.length}\r\n` + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join(""));
  });
}
