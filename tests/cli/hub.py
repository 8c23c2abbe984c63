"""A hub for tests/cli/test_pull.sh: hub.py FOLDER prints its port and serves FOLDER's files as the
repositories tests/NAME, where NAME says what is wrong with them. Requests are written to FOLDER/../log."""
import hashlib, http.server, json, os, sys, time

folder = sys.argv[1]
log = open(os.path.join(folder, "..", "log"), "a", buffering=1)
broken = {}


class Hub(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, code, body=b"", headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def listing(self, name):
        entries = [{"type": "directory", "path": "onnx", "size": 0}]
        for file in sorted(os.listdir(folder)):
            data = open(os.path.join(folder, file), "rb").read()
            entry = {"type": "file", "path": file, "size": len(data), "oid": "0" * 40}
            if file.endswith(".safetensors"):
                sha = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha if name != "wrong" else "0" * 64, "size": len(data)}
            if name == "short" and file == "config.json":
                entry["size"] += 1
            entries.append(entry)
        if name == "evil":
            entries += [{"type": "file", "path": path, "size": 5} for path in
                        ("../../evil", "/tmp/evil", "tokenizer.json/../../evil", "model.safetensors\0x")]
        if name == "none":
            entries = [e for e in entries if not e["path"].endswith(".safetensors")]
        if name == "huge":
            for entry in entries:
                entry["size"] = 1 << 40 if entry["path"].endswith(".safetensors") else entry["size"]
        return json.dumps(entries).encode() if name != "junk" else b"<html>"

    def do_GET(self):
        path = self.path.split("?")[0]
        log.write(f"{self.headers.get('Host')} {path} {self.headers.get('Range', '-')} "
                  f"{self.headers.get('Authorization', '-')}\n")
        parts = path.strip("/").split("/")
        if parts[:3] == ["api", "models", "tests"]:
            if parts[3] == "gated" and self.headers.get("Authorization") != "Bearer right":
                return self.answer(401)
            return self.answer(404) if parts[3] == "missing" else self.answer(200, self.listing(parts[3]))
        if parts[0] == "cdn":
            return self.file("cdn", parts[1])
        name, file = parts[1], parts[-1]
        if name in ("redirect", "gated"):  # to another host, as hubs do for large files
            port = self.server.server_address[1]
            return self.answer(302, headers=[("Location", f"http://localhost:{port}/cdn/{file}")])
        return self.file(name, file)

    def file(self, name, file):
        data = open(os.path.join(folder, file), "rb").read()
        begin = 0
        if self.headers.get("Range") and name != "norange":
            begin = int(self.headers["Range"].split("=")[1].split("-")[0])
            if begin >= len(data):
                return self.answer(416)
        if name == "junkfile" and file == "config.json":
            data = b"{" * len(data)
        cut = len(data)
        if name == "broken" and broken.setdefault(file, 0) < 3:  # a third at a time
            broken[file] += 1
            cut = min(len(data), begin + len(data) // 3 + 1)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if name == "slow" and file.endswith(".safetensors"):  # the second half when FOLDER/../go is there
            begin, half = max(begin, len(data) // 2), begin
            self.wfile.write(data[half:begin])
            while not os.path.exists(os.path.join(folder, "..", "go")):
                time.sleep(0.01)
        self.wfile.write(data[begin:cut])
        if cut < len(data):
            self.close_connection = True
            self.connection.shutdown(2)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_address[1], flush=True)
server.serve_forever()
