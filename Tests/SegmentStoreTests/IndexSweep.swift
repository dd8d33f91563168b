import Foundation
import LMDB
import StorageIO
import TestSupport

@testable import SegmentStore

/// A fault in the pages of an index.
enum IndexFault: CustomStringConvertible {
  case flippedBit(offset: Int, bit: Int)
  case page(Int, String, [UInt8])
  case cut(Int)

  static let pageByteCount = 4096

  var description: String {
    switch self {
    case .flippedBit(let offset, let bit):
      "bit \(bit) of byte \(offset % Self.pageByteCount) of page \(offset / Self.pageByteCount)"
    case .page(let number, let what, _): "page \(number) \(what)"
    case .cut(let byteCount): "cut to \(byteCount) bytes"
    }
  }

  func apply(to bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    switch self {
    case .flippedBit(let offset, let bit): bytes[offset] ^= 1 << UInt8(bit)
    case .page(let number, _, let other):
      let start = number * Self.pageByteCount
      bytes.replaceSubrange(start..<min(start + other.count, bytes.count), with: other)
    case .cut(let byteCount): bytes.removeLast(bytes.count - byteCount)
    }
    return bytes
  }
}

/// Does everything with copies of a store whose index is damaged, in a process of its own, and says what was neither
/// right nor an error that names the index.
struct IndexSweep {
  /// The store as it should be.
  private let reference: String
  private let images: TemporaryDirectory
  private let index: [UInt8]
  private var files: [StoredFile] = []
  private var contents: [FileID: [UInt8]] = [:]
  /// How many faults were harmless, and how many were reported.
  private(set) var harmlessCount = 0
  private(set) var reportedCount = 0

  init(of reference: String) throws {
    self.reference = reference
    images = try TemporaryDirectory(isInMemory: true)
    index = try fileBytes("\(reference)/index/data.mdb")
    let store = try Store(at: FilePath(try image(index)), Self.configuration)
    files = try store.allFiles()
    for file in files { contents[file.id] = try store.bytes(of: file.id, in: images) }
    try store.close()
    FilesOnDisk.removeTree(images.path(of: "store"))
  }

  private static var configuration: Store.Configuration {
    var configuration = Store.Configuration()
    configuration.workerCount = 1
    configuration.memoryByteCount = 16 << 20
    return configuration
  }

  /// Runs one fault.
  /// - Returns: What was wrong without being said.
  mutating func run(_ fault: IndexFault, writes: Bool) throws -> [String] {
    var check = FaultCheck()
    // The entries of a page from elsewhere may all be right: then they do not fit the records in the segments.
    if case .page = fault { check.acceptsCorruption = true }
    let path = try image(fault.apply(to: index))
    defer { FilesOnDisk.removeTree(path) }
    if writes {
      try write(path, &check)
    } else {
      check.attempt("open") { (check) in
        let store = try Store(at: FilePath(path), Self.configuration)
        read(store, expecting: files, &check)
        check.attempt("close") { _ in try store.close() }
      }
    }
    if check.wasReported { reportedCount += 1 } else { harmlessCount += 1 }
    return check.complaints.map { "\(fault): \($0)" }
  }

  /// Puts and deletes, then reads what should be there now.
  private func write(_ path: String, _ check: inout FaultCheck) throws {
    var expected = files
    let added = noise(30_000, seed: 99)
    let victim = files[files.count / 2]
    check.attempt("open") { (check) in
      let store = try Store(at: FilePath(path), Self.configuration)
      check.attempt("put") { _ in expected.append(try store.put(added, as: "added", in: images)) }
      // One that fails may have been done or not.
      expected.removeAll { $0.id == victim.id }
      check.attempt("delete") { _ in try store.delete(victim.id) }
      check.attempt("close") { _ in try store.close() }
    }
    check.attempt("open again") { (check) in
      let store = try Store(at: FilePath(path), Self.configuration)
      read(store, expecting: expected, ignoring: check.wasReported ? victim.id : nil, &check)
      if let last = expected.last, last.name.description == "added" {
        check.attempt("get what was put") { (check) in
          if try store.bytes(of: last.id, in: images) != added { check.complain("wrong bytes of what was put") }
        }
      }
      check.attempt("close") { _ in try store.close() }
    }
  }

  private func read(
    _ store: Store, expecting expected: [StoredFile], ignoring ignored: FileID? = nil, _ check: inout FaultCheck
  ) {
    check.attempt("list") { (check) in
      let found = try store.allFiles().filter { $0.id != ignored && ($0.status == .ready || ignored == nil) }
      if found != expected { check.complain("lists \(found.map(\.id)) of \(expected.map(\.id))") }
    }
    check.attempt("names") { (check) in
      let found = try Set(store.newestFiles(namePrefix: [], limit: 1000).filter { $0.id != ignored }.map(\.name))
      if !found.isSuperset(of: expected.map(\.name)) { check.complain("finds the names \(found)") }
    }
    for file in expected {
      check.attempt("find '\(file.name)'") { (check) in
        if try !store.files(named: file.name).contains(file) { check.complain("does not find '\(file.name)'") }
      }
      guard let bytes = contents[file.id] else { continue }
      check.attempt("get \(file.id)") { (check) in
        if try store.bytes(of: file.id, in: images) != bytes { check.complain("wrong bytes of \(file.id)") }
      }
    }
  }

  /// A copy of the store with these bytes as its index.
  private func image(_ index: [UInt8]) throws -> String {
    let path = images.path(of: "store")
    let files = FileManager.default
    for name in ["index", "segments"] {
      try files.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
    }
    for name in ["STORE", "locks", "high-water"] where files.fileExists(atPath: "\(reference)/\(name)") {
      try files.copyItem(atPath: "\(reference)/\(name)", toPath: "\(path)/\(name)")
    }
    for name in try files.contentsOfDirectory(atPath: "\(reference)/segments") {
      try files.copyItem(atPath: "\(reference)/segments/\(name)", toPath: "\(path)/segments/\(name)")
    }
    // It is large, and nobody writes to it.
    try files.createSymbolicLink(atPath: "\(path)/reserve", withDestinationPath: "\(reference)/reserve")
    try FilesOnDisk.write(index, to: "\(path)/index/data.mdb")
    return path
  }
}

/// What came of the calls after one fault.
struct FaultCheck {
  /// Whether it may also be said that a record is not what the index says.
  var acceptsCorruption = false
  private(set) var complaints: [String] = []
  /// Whether a call said that the index is damaged.
  private(set) var wasReported = false

  mutating func complain(_ text: String) { complaints.append(text) }

  mutating func attempt(_ what: String, _ body: (inout FaultCheck) throws -> Void) {
    do { try body(&self) } catch let error as StoreError where error.code == .indexDamaged && error.advice != nil {
      wasReported = true
    } catch let error as StoreError where error.code == .corrupt && acceptsCorruption {
      wasReported = true
    } catch {
      complain("\(what): \(error)")
    }
  }
}
