import Foundation
import StorageIO
import TestSupport

@testable import SegmentStore

/// A pipe in the file system, both ends open, for streams.
final class PipePair: Sendable {
  let path: String
  let reading: File
  let writing: FileHandle

  init(in directory: TemporaryDirectory) throws {
    path = directory.path(of: "pipe-\(UUID().uuidString)")
    try FilesOnDisk.makePipe(path)
    reading = try File.open(FilePath(path), .nonBlocking)
    guard let handle = FileHandle(forWritingAtPath: path) else { throw CocoaError(.fileReadUnknown) }
    writing = handle
  }

  /// Writes all of `bytes` on a thread of its own, and then ends the stream.
  func feed(_ bytes: [UInt8]) -> BackgroundWork<Void> {
    BackgroundWork { [writing] in
      try writing.write(contentsOf: Data(bytes))
      try writing.close()
    }
  }
}
