"""end_a_method.py PROTO OUT: the contract of PROTO with an end announced for GetTicker, as descriptors in OUT."""

import pathlib
import shutil
import sys

from google.protobuf import descriptor_pb2

proto, out = map(pathlib.Path, sys.argv[1:3])
out.mkdir(exist_ok=True)
shutil.copy(proto / "options_pb2.py", out)
sys.path.insert(0, str(out))
import options_pb2  # noqa: E402 pylint: disable=wrong-import-position

descriptors = descriptor_pb2.FileDescriptorSet.FromString((proto / "contract.descriptors").read_bytes())
(trading,) = [file for file in descriptors.file if file.name == "trading.proto"]
(method,) = [m for m in trading.service[0].method if m.name == "GetTicker"]
told = method.options.Extensions[options_pb2.endpoint].deprecated
told.since, told.sunset, told.successor = "2027-01-01", "2027-07-01", "trading.Trading/GetQuotes"
(out / "contract.descriptors").write_bytes(descriptors.SerializeToString())
