import CommandSupport
import StorageIO

/// What a result was measured on and with: part of every report.
struct Circumstances: Sendable {
  let settings: BenchSettings
  let machine: Machine
  let pfsVersion: String
  let startedNanoseconds: Int64

  /// Three lines for people; `input` says what was stored.
  func text(input: String) -> String {
    let libraries = settings.libraries.map { "\($0.name) \($0.version)" }
    let versions = [pfsVersion] + libraries + (settings.commit.map { ["commit \($0)"] } ?? [])
    let started = CalendarTime(nanosecondsSinceEpoch: startedNanoseconds).rfc3339
    return """
      \(started): \(machine.processor), \(machine.processorCount) processors, \
      \(ByteSize.text(machine.memoryByteCount)); Linux \(machine.kernel); \(machine.fileSystem)
      \(versions.joined(separator: ", "))
      input \(input); \(settings.workerCount) workers; \
      \(settings.runCount) runs; median [least..most]; MB = 1,000,000 bytes

      """
  }

  /// What begins every JSON result of the benchmark called `benchmark`.
  func json(benchmark: String) -> [JSONValue.Member] {
    [
      JSONValue.Member("benchmark", .string(benchmark)),
      JSONValue.Member("format", 1),
      JSONValue.Member("started", .string(CalendarTime(nanosecondsSinceEpoch: startedNanoseconds).rfc3339)),
      JSONValue.Member(
        "machine",
        [
          "processor": .string(machine.processor), "processors": .integer(Int64(machine.processorCount)),
          "kernel": .string(machine.kernel), "memory": .integer(Int64(machine.memoryByteCount)),
          "file_system": .string(machine.fileSystem),
        ]),
      JSONValue.Member(
        "versions",
        .object(
          [JSONValue.Member("pfs", .string(pfsVersion)), JSONValue.Member("pfs_bench", .string(BenchCommand.version))]
            + settings.libraries.map { library in JSONValue.Member(library.name, .string(library.version)) })),
      JSONValue.Member("commit", settings.commit.map { .string($0) } ?? .null),
      JSONValue.Member("workers", .integer(Int64(settings.workerCount))),
    ]
  }

  /// More than this taken by others makes speeds, and ratios of speeds, a matter of chance.
  private static let quietShare = 0.05

  /// A line on the share of the machine that everything else took while something was measured.
  static func quietness(othersShare share: Double) -> String {
    let advice = share > quietShare ? ": too much for figures of speed; measure when nothing else runs" : ""
    return "\nothers took \(FixedPoint.percent(share)) of the machine meanwhile\(advice)\n"
  }
}
