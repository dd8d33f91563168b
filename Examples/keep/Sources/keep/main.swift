// keep STORE FILE COPY: stores FILE, restores it as COPY, and says what is there.
import Glibc
import SegmentStore

let arguments = CommandLine.arguments.dropFirst().map { FilePath($0) }
guard arguments.count == 3 else {
  print("usage: keep STORE FILE COPY")
  exit(2)
}
let (path, source, copy) = (arguments[0], arguments[1], arguments[2])

try Store.create(at: path)
let store = try Store(at: path)
let file = try store.put(.file(source), as: FileName(source.lastComponent))
try store.get(file.id, to: .file(copy, replacing: false))
for file in try store.files(limit: 100) { print(file.id, file.name, file.byteCount) }
let summary = try store.verify { event in
  if case .finding(let finding) = event { print(finding) }
}
print("checked \(summary.partCount) parts: \(summary.findingCount) findings")
try store.close()
