"""Publishes three turns to an inlet of memos, as plain JSON, with kafka-python.

    python publish.py --bootstrap 127.0.0.1:9092 --topic inlet.shared --user alice \
        --tenant acme --key-id 2026-05 --secret-file acme.secret
    python publish.py --vectors ../../signature-vectors.json

Without --secret-file the records are not signed, as for an inlet that is bound to one tenant.
"""

import argparse
import base64
import hashlib
import hmac
import json
import uuid
from pathlib import Path

# What a signature covers, in this order; a header that a record does not have is an empty line.
COVERED = ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"]


def canonical(inlet: str, tenant: str, key_id: str, headers: dict[str, str], value: bytes) -> bytes:
    lines = ["memos-inlet-v1", tenant, key_id, inlet] + [headers.get(name, "") for name in COVERED]
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for line in lines for char in line):
        raise ValueError("a signed name or header holds a control character")
    return "".join(line + "\n" for line in lines).encode() + value


def sign(secret: bytes, inlet: str, tenant: str, key_id: str, headers: dict[str, str], value: bytes) -> str:
    statement = canonical(inlet, tenant, key_id, headers, value)
    return base64.b64encode(hmac.new(secret, statement, hashlib.sha256).digest()).decode()


def publish(args: argparse.Namespace) -> None:
    from kafka import KafkaProducer

    inlet = args.topic.rsplit(".", 1)[-1]
    secret = Path(args.secret_file).read_bytes().strip() if args.secret_file else None
    # acks=all: what was answered is on every replica. What is sent twice has the same id, and memos takes it once.
    producer = KafkaProducer(bootstrap_servers=args.bootstrap, acks="all", retries=10)
    said = [("user", "I moved to Bonn last week."), ("assistant", "How do you like it?"), ("user", "I love the river.")]
    for number, (role, content) in enumerate(said, start=1):
        turn = {
            "id": f"{args.conversation}-{number}",
            "user_id": args.user,
            "session_id": args.conversation,
            "role": role,
            "content": content,
        }
        value = json.dumps(turn, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        if secret:
            signature = sign(secret, inlet, args.tenant, args.key_id, headers, value)
            headers |= {"memos-tenant": args.tenant, "memos-key-id": args.key_id, "memos-signature": signature}
        # The user is the key, so that the user's turns stay in order.
        sent = producer.send(
            args.topic,
            key=args.user.encode(),
            value=value,
            headers=[(name, text.encode()) for name, text in headers.items()],
        ).get(timeout=30)
        print(f"published {turn['id']} to {sent.topic}/{sent.partition} at {sent.offset}")
    producer.close()


def check(path: str) -> None:
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    for vector in document["vectors"]:
        named = (vector["inlet"], vector["tenant"], vector["key_id"], vector["headers"], vector["value"].encode())
        if canonical(*named) != vector["canonical"].encode():
            raise SystemExit(f"the bytes to sign differ: {vector['name']}")
        if sign(vector["secret"].encode(), *named) != vector["signature"]:
            raise SystemExit(f"the signature differs: {vector['name']}")
    print(f"{len(document['vectors'])} vectors agree")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Publishes three turns to an inlet of memos.")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="inlet.events", help="its end, behind the last dot, is the inlet's name")
    parser.add_argument("--user", default="alice")
    parser.add_argument("--conversation", default=f"python-{uuid.uuid4()}", help="the ids of the turns begin with it")
    parser.add_argument("--tenant")
    parser.add_argument("--key-id")
    parser.add_argument("--secret-file")
    parser.add_argument("--vectors", help="check the signature against fixed vectors, and publish nothing")
    arguments = parser.parse_args()
    check(arguments.vectors) if arguments.vectors else publish(arguments)
