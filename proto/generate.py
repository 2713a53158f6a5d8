"""Writes what follows from the contract: the C tables, the OpenAPI document, the help data, the TypeScript types.

Runs at build time (proto/CMakeLists.txt) over the descriptor set of protoc --include_imports
--include_source_info. A contract that contradicts itself stops the build with a list of what is wrong.
"""

import argparse
import importlib
import json
import pathlib
import shutil
import sys

from google.protobuf import descriptor_pb2

from gen import c_tables
from gen.asyncapi import write_asyncapi
from gen.check import check_contract
from gen.help import write_help
from gen.model import read_contract
from gen.openapi import write_openapi
from gen.site import write_site
from gen.typescript import write_routes, write_types


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--descriptors", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="also where options_pb2.py is")
    parser.add_argument("--version", default="0.0.0", help="of the product, for the documents")
    args = parser.parse_args()

    sys.path.insert(0, str(args.out))
    options = importlib.import_module("options_pb2")  # before parsing: it registers the options
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(args.descriptors.read_bytes())

    contract = read_contract(descriptors, options)
    findings = check_contract(contract)
    for finding in findings:
        print(f"contract: {finding}", file=sys.stderr)
    if findings:
        return 1

    shutil.rmtree(args.out / "site", ignore_errors=True)
    (args.out / "site").mkdir()
    for file in descriptors.file:  # for reflection: without the comments
        file.ClearField("source_code_info")
    openapi = compact(write_openapi(contract, args.version))
    asyncapi = compact(write_asyncapi(contract, args.version))
    help_data = compact(write_help(contract, args.version))
    write(args.out / "contract_tables.c", c_tables.write_tables(contract, descriptors.SerializeToString()))
    write(args.out / "contract_documents.c",
          c_tables.write_documents({
              "contract_openapi": openapi, "contract_asyncapi": asyncapi, "contract_help": help_data}))
    site = write_site(contract, args.version)
    write(args.out / "contract_pages.c", c_tables.write_pages(site))
    for name, file in site.items():  # to look at, and for the tests
        write(args.out / "site" / (name or "index.html"), file.text)
    write(args.out / "openapi.json", openapi)
    write(args.out / "asyncapi.json", asyncapi)
    write(args.out / "help.json", help_data)
    write(args.out / "tradepost.d.ts", write_types(contract, args.version))
    write(args.out / "tradepost.routes.ts", write_routes(contract))
    return 0


def compact(document: dict) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def write(path: pathlib.Path, text: str):
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
