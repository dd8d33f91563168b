import CommandSupport
import StorageIO

/// What a sweep measures and where.
struct SweepSettings: Sendable {
  static let table = OptionTable([
    OptionTable.Option(
      "limits", value: "SIZE,...", help: "Memory limits to measure; default 32MiB,64MiB,256MiB,1GiB."),
    OptionTable.Option("input", value: "FILE", help: "Store this file; default: a generated corpus."),
    OptionTable.Option(
      "corpus", value: "KIND",
      help:
        "What to generate: 'compressible' (default; text-like and binary-like) or 'mixed' (a third incompressible), or 'incompressible'."
    ),
    OptionTable.Option("size", value: "SIZE", help: "Bytes to generate; default 1GiB."),
  ]).adding(BenchSettings.table)

  let common: BenchSettings
  let limits: [MemoryLimit]
  let input: FilePath?
  let corpus: BenchCorpus.Kind
  let corpusByteCount: Int

  init(_ options: ParsedOptions) throws(UsageError) {
    common = try BenchSettings(options)
    limits = try SweepSettings.limits(try options.text(of: "limits") ?? "32MiB,64MiB,256MiB,1GiB")
    input = options.value(of: "input").map { FilePath(bytes: $0) }
    let kinds = BenchCorpus.Kind.allCases.map(\.rawValue)
    let kind = try options.choice(of: "corpus", among: kinds)
    corpus = kind.flatMap { BenchCorpus.Kind(rawValue: $0) } ?? .compressible
    corpusByteCount = try options.byteCount(of: "size") ?? 1 << 30
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
}

/// A limit as it was typed, since that is what pfs is given.
struct MemoryLimit: Hashable, Sendable {
  let text: String
  let byteCount: Int
}
