import CommandSupport
import Console

/// D-MemFS, run by Python in a process of its own for each measurement, which times itself.
struct DMemFSPeer: Sendable {
  let title: String
  let isThere: Bool
  /// Why it is not.
  let problem: String
  private let program: [UInt8]
  private let arguments: [[UInt8]]
  private let environment: [String: String]
  private let run: BenchRun

  /// Looks whether Python finds it.
  init(python: [UInt8]?, directory: [UInt8]?, run: BenchRun) {
    self.run = run
    program = python ?? Array("/usr/bin/env".utf8)
    arguments = python == nil ? [Array("python3".utf8)] : []
    environment = directory.map { ["PYTHONPATH": String(decoding: $0, as: UTF8.self)] } ?? [:]
    let question = "import importlib.metadata, dmemfs; print(importlib.metadata.version('D-MemFS'))"
    let said: String
    do throws(BenchFailure) {
      let outcome = try DMemFSPeer.run(program, arguments + [Array("-c".utf8), Array(question.utf8)], environment)
      isThere = outcome.exitStatus == 0
      said = String(decoding: isThere ? outcome.standardOutput : outcome.standardError, as: UTF8.self)
    } catch {
      isThere = false
      said = error.message
    }
    let line = said.split(separator: "\n").last.map { DisplayName.escaped(String($0)) } ?? ""
    title = "D-MemFS \(isThere ? line : "")"
    problem = isThere ? "" : "\(line); get it with: pip download --no-deps D-MemFS, and name the folder with --peer"
  }

  /// The time of a piece of work, without what prepares it.
  func seconds(_ work: StagingCase, threadCount: Int) throws(BenchFailure) -> Double {
    let words = [
      "-c", DMemFSPeer.script, work.kind.rawValue, "\(work.count)", "\(work.pieceByteCount)", "\(work.readCount)",
      "\(threadCount)", "\(work.repetitionCount)",
    ]
    let outcome = try DMemFSPeer.run(program, arguments + words.map { Array($0.utf8) }, environment)
    try requireSuccess(outcome, "python3 (D-MemFS, \(work.kind.rawValue))")
    let text = String(decoding: outcome.standardOutput, as: UTF8.self)
    guard let seconds = Double(text.split(separator: "\n").last ?? ""), seconds > 0 else {
      throw BenchFailure(.failed, "D-MemFS, \(work.kind.rawValue): no time but '\(DisplayName.escaped(text))'")
    }
    return seconds
  }

  private static func run(
    _ program: [UInt8], _ arguments: [[UInt8]], _ environment: [String: String]
  ) throws(BenchFailure) -> ChildProcess.Outcome {
    try BenchFailure.translating { () throws(ConsoleFailure) in
      try ChildProcess(program, arguments, environment: environment).wait()
    }
  }

  /// The same work as `StagingWork` does, in the same order, with buffers made before.
  private static let script = """
    import random, sys, threading, time
    from dmemfs import MemoryFileSystem
    kind = sys.argv[1]
    count, piece, reads, threads, repetitions = map(int, sys.argv[2:7])
    byte_count = count * (piece if kind in ("small_files", "many_files") else 1)

    def put(path, data):
        with fs.open(path, "wb") as f:
            f.write(data)

    def read_files(paths):
        total = 0
        for path in paths:
            with fs.open(path, "rb") as f:
                total += len(f.read())
        return total

    def share(thread):
        top = f"/thread {thread}"
        fs.mkdir(top)
        generator = random.Random(thread + 1)
        if kind == "small_files":
            paths = [f"{top}/file{n}.bin" for n in range(count)]
            data = [bytes([(n + thread) % 256]) * piece for n in range(count)]
            def work():
                for path, buffer in zip(paths, data):
                    put(path, buffer)
                read_files(paths)
        elif kind == "stream":
            path = f"{top}/stream.bin"
            data = [bytes([(n + thread) % 256]) * piece for n in range(count // piece)]
            def work():
                with fs.open(path, "wb") as f:
                    for buffer in data:
                        f.write(buffer)
                with fs.open(path, "rb") as f:
                    while f.read(piece):
                        pass
        elif kind == "random":
            path = f"{top}/random.bin"
            put(path, bytes([1]) * count)
            data = [bytes([(n + thread) % 256]) * piece for n in range(reads)]
            places = [generator.randrange(count // piece) * piece for _ in range(reads)]
            def work():
                with fs.open(path, "r+b") as f:
                    for place, buffer in zip(places, data):
                        f.seek(place)
                        f.write(buffer)
                    for place in reversed(places):
                        f.seek(place)
                        f.read(piece)
        elif kind == "many_files":
            paths = [f"{top}/file{n}.bin" for n in range(count)]
            for path in paths:
                put(path, bytes([2]) * piece)
            wanted = [paths[generator.randrange(count)] for _ in range(reads)]
            def work():
                read_files(wanted)
        else:
            paths, directory = [], top
            for level in range(count):
                directory += f"/level{level}"
                fs.mkdir(directory)
                paths.append(f"{directory}/file.bin")
                put(paths[-1], bytes([3]) * piece)
            def work():
                for _ in range(reads):
                    read_files(paths)
        return work

    times = []
    fs = MemoryFileSystem(max_quota=(1 << 28) + (byte_count + (64 << 20)) * 2 * threads)
    for _ in range(repetitions):
        works = [share(thread) for thread in range(threads)]
        if threads == 1:
            start = time.perf_counter()
            works[0]()
        else:
            workers = [threading.Thread(target=work) for work in works]
            start = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        times.append(time.perf_counter() - start)
        for thread in range(threads):
            fs.rmtree(f"/thread {thread}")
    print(min(times))
    """
}
