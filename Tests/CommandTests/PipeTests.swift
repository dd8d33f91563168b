import Foundation
import TestSupport
import Testing

@Suite("Pipe") struct PipeTests {
  @Test(
    "carries any bytes into the store and out again",
    arguments: [0, 1, 4095, 4096, 4097, 1 << 20, 3 << 20 + 17], [Sample.Kind.text, .random])
  func roundTrip(byteCount: Int, kind: Sample.Kind) throws {
    try Sandbox.use { sandbox in
      let data = Sample(kind, seed: UInt64(byteCount)).bytes(byteCount)
      var put = sandbox.command("put", "-", "--name", "from a pipe", "--part-size", "4KiB")
      put.input = .pipe
      let putting = try put.start()
      putting.feed(data)
      let result = try putting.wait()
      expectDone(result)
      #expect(result.outputLines == ["1\tfrom a pipe"])
      #expect(try sandbox.list().first?.byteCount == byteCount)

      var get = sandbox.command("get", "1", "-o", "-")
      get.output = .pipe
      let getting = try get.start()
      let isSame = try getting.readOutput() == data
      #expect(isSame)
      expectDone(try getting.wait())
    }
  }

  @Test("is read to its end however slowly the bytes come")
  func smallPieces() throws {
    try Sandbox.use { sandbox in
      let data = Sample(.text, seed: 9).bytes(20_000)
      var put = sandbox.command("put", "-", "--name", "slow", "--part-size", "4KiB")
      put.input = .pipe
      let putting = try put.start()
      for start in stride(from: 0, to: data.count, by: 999) {
        try putting.write(Data(data[start..<min(data.count, start + 999)]))
      }
      putting.closeInput()
      expectDone(try putting.wait())
      let isSame = try sandbox.done("get", "slow", "-o", "-").standardOutput == data
      #expect(isSame)
    }
  }

  @Test("may be a file, of which what is left is stored")
  func redirectedFile() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try Sample(.binary, seed: 2).write(2 << 20 + 1, to: original)
      expectDone(try sandbox.pfs("put", "-", "--name", "file", input: .file(original)))
      expectDone(try sandbox.pfs("get", "file", "-o", "-", output: .file(sandbox.work / "restored")))
      try expectSameBytes(sandbox.work / "restored", original)
    }
  }

  @Test("whose reader leaves early ends the get, and holds up nothing")
  func readerLeaves() throws {
    try Sandbox.use { sandbox in
      try Sample(.random, seed: 3).write(8 << 20, to: sandbox.work / "file")
      try sandbox.put(sandbox.work / "file")
      var get = sandbox.command("get", "1", "-o", "-")
      get.output = .pipe
      let getting = try get.start()
      #expect(try getting.readOutput(upTo: 10).count == 10)
      getting.closeOutput()
      let result = try getting.wait()
      #expect(result.exitStatus == 1 || result.signal == SIGPIPE, "\(result)")
      #expect(result.errorLines.count <= 2, "\(result)")
      expectDone(try sandbox.pfs("--lock-timeout", "1s", "delete", "1"))
    }
  }

  @Test("from one store to another carries a file")
  func storeToStore() throws {
    try Sandbox.use { sandbox in
      let original = sandbox.work / "original"
      try Sample(.text, seed: 4).write(3 << 20, to: original)
      try sandbox.put(original)
      var get = sandbox.command("get", "1", "-o", "-")
      get.output = .pipe
      let getting = try get.start()
      var put = sandbox.command("--store", "other", "put", "-", "--name", "copy")
      put.input = .pipe
      let putting = try put.start()
      while true {
        let chunk = try getting.readOutput(upTo: 64 << 10)
        if chunk.isEmpty { break }
        try putting.write(chunk)
      }
      putting.closeInput()
      expectDone(try getting.wait())
      expectDone(try putting.wait())
      expectDone(try sandbox.pfs("--store", "other", "get", "copy", "-o", "restored"))
      try expectSameBytes(sandbox.work / "restored", original)
    }
  }
}
