import CommandSupport
import Console
import StorageIO

/// What a sweep measures and where.
struct SweepSettings: Sendable {
  static let table = OptionTable([
    OptionTable.Option(
      "limits", value: "SIZE,...", help: "Memory limits to measure; default 32MiB,64MiB,256MiB,1GiB."),
    OptionTable.Option("input", value: "FILE", help: "Store this file; default: a generated corpus."),
    OptionTable.Option(
      "corpus", value: "KIND",
      help: "What to generate: 'compressible' (default; text-like and binary-like) or 'mixed' (a third incompressible)."
    ),
    OptionTable.Option("size", value: "SIZE", help: "Bytes to generate; default 1GiB."),
    OptionTable.Option("seed", value: "N", help: "Generates the same bytes for the same seed; default 1."),
    OptionTable.Option(
      "directory", value: "DIR", help: "Where all files are made: the file system that is tested; default '.'."),
    OptionTable.Option(
      "runs", value: "N", help: "How often everything is measured; even, default 4."),
    OptionTable.Option("workers", value: "N", help: "Threads of pfs and of the bare work; default: processors."),
    OptionTable.Option("pfs", value: "PATH", help: "The pfs to measure; default: the one beside pfs-bench."),
    OptionTable.Option("json", help: "Print the result as JSON instead of tables."),
    OptionTable.Option("output", value: "FILE", help: "Write the result as JSON to FILE too."),
    OptionTable.Option("commit", value: "ID", help: "Recorded in the result: what was built."),
    OptionTable.Option(
      "library", value: "NAME=VERSION", help: "Recorded in the result: a library in use; may be given several times."),
    OptionTable.Option("help", short: "h", help: "Print this help and exit."),
  ])

  let limits: [MemoryLimit]
  let input: FilePath?
  let corpus: BenchCorpus.Kind
  let corpusByteCount: Int
  let seed: UInt64
  let directory: FilePath
  let runCount: Int
  let workerCount: Int
  let pfs: FilePath
  let printsJSON: Bool
  let output: FilePath?
  let commit: String?
  let libraries: [(name: String, version: String)]

  init(_ options: ParsedOptions) throws(UsageError) {
    limits = try SweepSettings.limits(try options.text(of: "limits") ?? "32MiB,64MiB,256MiB,1GiB")
    input = options.value(of: "input").map { FilePath(bytes: $0) }
    let kinds = BenchCorpus.Kind.allCases.map(\.rawValue)
    let kind = try options.choice(of: "corpus", among: kinds)
    corpus = kind.flatMap { BenchCorpus.Kind(rawValue: $0) } ?? .compressible
    corpusByteCount = try options.byteCount(of: "size") ?? 1 << 30
    seed = UInt64(try options.integer(of: "seed", in: 0...Int.max) ?? 1)
    directory = FilePath(bytes: options.value(of: "directory") ?? Array(".".utf8))
    runCount = try options.integer(of: "runs", in: 1...1000) ?? 4
    workerCount = try options.integer(of: "workers", in: 1...1024) ?? SystemThread.processorCount
    if let path = options.value(of: "pfs") {
      pfs = FilePath(bytes: path)
    } else {
      pfs = FilePath(bytes: try SweepSettings.pfsBesideThis())
    }
    printsJSON = options.contains("json")
    output = options.value(of: "output").map { FilePath(bytes: $0) }
    commit = try options.text(of: "commit")
    libraries = try SweepSettings.libraries(options.values(of: "library"))
    if corpusByteCount == 0 { throw UsageError(.invalidValue, "option '--size': nothing to measure") }
  }

  private static func limits(_ text: String) throws(UsageError) -> [MemoryLimit] {
    var limits: [MemoryLimit] = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      do throws(UsageError) {
        limits.append(MemoryLimit(text: String(item), byteCount: try ByteSize.parse(String(item))))
      } catch {
        throw UsageError(error.code, "option '--limits': \(error.message)")
      }
    }
    return limits
  }

  private static func libraries(_ values: [[UInt8]]) throws(UsageError) -> [(name: String, version: String)] {
    var libraries: [(name: String, version: String)] = []
    for value in values {
      let text = String(decoding: value, as: UTF8.self)
      guard let separator = text.firstIndex(of: "=") else {
        throw UsageError(.invalidValue, "option '--library': '\(DisplayName.escaped(text))' is not NAME=VERSION")
      }
      libraries.append((String(text[..<separator]), String(text[text.index(after: separator)...])))
    }
    return libraries
  }

  private static func pfsBesideThis() throws(UsageError) -> [UInt8] {
    do throws(ConsoleFailure) {
      return FilePath(bytes: try ProgramFile.path()).parent.appending("pfs").bytes
    } catch {
      throw UsageError(.missingValue, "give '--pfs PATH': \(error.message)")
    }
  }
}

/// A limit as it was typed, since that is what pfs is given.
struct MemoryLimit: Hashable, Sendable {
  let text: String
  let byteCount: Int
}
