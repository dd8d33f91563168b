import Foundation
import TestSupport
import Testing

@Suite("Salvage of a store") struct StoreSalvageTests {
  private static let partByteCount = 64 << 10

  @Test("of a store in which nothing is damaged writes every file as it was", arguments: [true, false])
  func intactStore(hasIndex: Bool) throws {
    try withFiles { sandbox in
      if !hasIndex { try (sandbox.store / "index").remove() }
      let before = try FileTree(below: sandbox.store)
      let result = try sandbox.pfs("--json", "salvage", "rescue")
      // A lost index is damage, though no byte of any file is lost by it.
      #expect(result.exitStatus == (hasIndex ? 0 : 3), "\(result)")
      let summary = try #require(try JSON.lines(result.standardOutput).last)
      #expect(summary["whole_files"]?.integer == 5, "\(result)")
      #expect(summary["damaged_files"]?.integer == 0, "\(result)")
      for name in ["large", "tree/small", "versioned"] {
        try expectSameBytes(sandbox.work / "rescue/files/\(name)", sandbox.work / name)
      }
      let older = try sandbox.work.salvaged("versions")
      #expect(older == ["3/versioned"])
      #expect(try sandbox.work.salvaged("unnamed").count == 1, "a name that leads out of the directory")
      #expect(try !(sandbox.root / "outside").exists())
      #expect(
        try Set((sandbox.work / "rescue").entryNames().map { String(decoding: $0, as: UTF8.self) })
          == ["files", "versions", "unnamed", "loss-report.jsonl"])
      // LMDB keeps its readers in a file of the index.
      let differences = before.differences(in: try FileTree(below: sandbox.store))
      if hasIndex { #expect(differences.filter { !$0.contains("lock.mdb") } == []) }
    }
  }

  @Test("leaves a hole where a part is lost, says where, and writes the rest", arguments: [true, false])
  func damagedPart(hasIndex: Bool) throws {
    try withFiles { sandbox in
      let number = 7
      let place = try place(ofPart: number, of: "large", in: sandbox)
      try place.segment.overwrite(Data(count: 64 + 128), at: place.offset - 128)
      if hasIndex { sandbox.damagedIdentifiers = [1] } else { try (sandbox.store / "index").remove() }
      let result = try sandbox.pfs("--json", "salvage", "rescue")
      #expect(result.exitStatus == 3, "\(result)")
      let lines = try JSON.lines(result.standardOutput)
      let file = try #require(lines.first { $0["name"]?.string == "large" && $0["salvaged"] != nil }, "\(result)")
      #expect(file["size"]?.integer == 2 << 20)
      #expect(lines.last?["damaged_files"]?.integer == 1, "\(result)")
      #expect(lines.last?["whole_files"]?.integer == 4, "\(result)")
      let (salvaged, original) = (try (sandbox.work / "rescue/files/large").read(), try (sandbox.work / "large").read())
      let hole = number * StoreSalvageTests.partByteCount..<(number + 1) * StoreSalvageTests.partByteCount
      #expect(salvaged.count == original.count)
      #expect(salvaged[..<hole.lowerBound] == original[..<hole.lowerBound])
      #expect(salvaged[hole.upperBound...] == original[hole.upperBound...])
      try expectSameBytes(sandbox.work / "rescue/files/versioned", sandbox.work / "versioned")
    }
  }

  @Test("needs neither STORE nor the index")
  func withoutSuperblock() throws {
    try withFiles { sandbox in
      try (sandbox.store / "STORE").remove()
      try (sandbox.store / "index").remove()
      let result = try sandbox.pfs("salvage", "rescue")
      #expect(result.exitStatus == 3, "\(result)")
      for name in ["large", "tree/small", "versioned"] {
        try expectSameBytes(sandbox.work / "rescue/files/\(name)", sandbox.work / name)
      }
    }
  }

  @Test("puts the parts of a file whose manifest is lost where they belong")
  func fragments() throws {
    try withFiles { sandbox in
      try (sandbox.store / "index").remove()
      // The name stands in the manifest and nowhere else.
      for segment in try sandbox.segmentPaths() {
        while let found = try segment.read().range(of: Data("large".utf8)) {
          try segment.overwrite(Data("LARGE".utf8), at: found.lowerBound)
        }
      }
      let result = try sandbox.pfs("salvage", "rescue")
      #expect(result.exitStatus == 3, "\(result)")
      #expect(result.outputText.contains("manifest"), "\(result)")
      try expectSameBytes(sandbox.work / "rescue/fragments/1", sandbox.work / "large")
      #expect(try !(sandbox.work / "rescue/files/large").exists())
    }
  }

  @Test("writes a file and what is stored below its name both")
  func nameThatIsADirectoryToo() throws {
    try Sandbox.use { sandbox in
      try Sample(.text, seed: 1).write(10_000, to: sandbox.work / "one")
      try Sample(.text, seed: 2).write(10_000, to: sandbox.work / "two")
      try sandbox.put(sandbox.work / "one", "--name", "a")
      try sandbox.put(sandbox.work / "two", "--name", "a/b")
      expectDone(try sandbox.pfs("salvage", "rescue"))
      let found = try FileTree(below: sandbox.work / "rescue").files.values.map(\.data)
      for name in ["one", "two"] {
        let original = try (sandbox.work / name).read()
        #expect(found.contains(original), "\(name) was not written")
      }
    }
  }

  @Test("of deleted files writes nothing")
  func deletedFiles() throws {
    try withFiles { sandbox in
      try sandbox.done("delete", "large")
      try (sandbox.store / "index").remove()
      _ = try sandbox.pfs("salvage", "rescue")
      #expect(try !(sandbox.work / "rescue/files/large").exists())
      #expect(try !(sandbox.work / "rescue/fragments").exists())
      try expectSameBytes(sandbox.work / "rescue/files/versioned", sandbox.work / "versioned")
    }
  }

  @Test("into a directory that is not empty is refused, and of no store says so")
  func badDirectories() throws {
    try withFiles { sandbox in
      expectFailure(try sandbox.pfs("salvage", "."), 1, of: "salvage", says: "not empty")
      expectFailure(try sandbox.pfs("salvage"), 2, of: "salvage", says: "DIR")
      expectFailure(try sandbox.pfs("--store", "nowhere", "salvage", "rescue"), 4, of: "salvage", says: "nowhere")
      expectFailure(try sandbox.pfs("--store", "tree", "salvage", "rescue2"), 4, of: "salvage", says: "no segments")
    }
  }

  @Test("onto a full disk is exit status 6")
  func fullDisk() throws {
    try withFiles { sandbox in
      let small = try LoopFileSystem(in: sandbox.root, byteCount: 3 << 20)
      defer { _ = small.unmount() }
      let result = try sandbox.pfs("salvage", small.root / "rescue")
      #expect(result.exitStatus == 6, "\(result)")
    }
  }

  /// A store with files of one and of many parts, two versions of a name, and a name that leads out of any directory.
  private func withFiles(_ body: (Sandbox) throws -> Void) throws {
    try Sandbox.use { sandbox in
      try sandbox.done("init", "--segment-size", "1MiB", "--part-size", "64KiB")
      try (sandbox.work / "tree").makeDirectory()
      for (seed, (name, byteCount)) in [("large", 2 << 20), ("tree/small", 3000), ("versioned", 200_000)].enumerated() {
        try Sample(.random, seed: UInt64(seed)).write(byteCount, to: sandbox.work / name)
      }
      try sandbox.done("--workers", "1", "put", "large")
      try sandbox.done("put", "-r", "tree")
      try sandbox.put(sandbox.work / "large", "--name", "versioned")
      try sandbox.put(sandbox.work / "versioned")
      try sandbox.put(sandbox.work / "tree/small", "--name", "../../outside")
      try body(sandbox)
      sandbox.isChecked = try (sandbox.store / "index").exists() && (sandbox.store / "STORE").exists()
    }
  }

  private func place(
    ofPart number: Int, of name: String, in sandbox: Sandbox
  ) throws -> (segment: BytePath, offset: Int) {
    let start = number * StoreSalvageTests.partByteCount
    let wanted = try (sandbox.work / name).read()[start..<start + 64]
    for segment in try sandbox.segmentPaths() {
      if let found = try segment.read().range(of: wanted) { return (segment, found.lowerBound) }
    }
    throw TestFailure("part \(number) of \(name) is in no segment")
  }
}

extension BytePath {
  /// The paths of the files in a folder of what was salvaged.
  fileprivate func salvaged(_ folder: String) throws -> [String] {
    let path = self / "rescue" / folder
    return try path.exists() ? FileTree(below: path).files.keys.map(\.text).sorted() : []
  }
}
