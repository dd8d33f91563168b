import CommandSupport

/// The result for programs. Sizes are in bytes, times in seconds, speeds in MB (1,000,000 bytes) a second.
extension SweepReport {
  var json: JSONValue {
    .object(
      circumstances.json(benchmark: "sweep") + [
        JSONValue.Member(
          "input",
          [
            "size": .integer(Int64(result.inputByteCount)),
            "file": settings.input.map { .string(DisplayName.escaped($0.bytes)) } ?? .null,
            "corpus": settings.input == nil ? .string(settings.corpus.rawValue) : .null,
            "seed": settings.input == nil ? .unsignedInteger(settings.common.seed) : .null,
          ]),
        JSONValue.Member("others_share", .double(othersShare)),
        JSONValue.Member("runs", .array(result.samples.map(json))),
        JSONValue.Member("summary", .array(result.limits.map(summary))),
        JSONValue.Member(
          "bare_summary",
          .object(
            SweepStep.allCases.map { step in
              JSONValue.Member("\(step)_mb_per_second", json(result.bareSpeed(step)))
            })),
        JSONValue.Member(
          "hard_limits",
          [
            "not_tried": result.hardLimits.reason.map { .string($0) } ?? .null,
            "allowance": .integer(Int64(SweepResult.anonymousAllowanceByteCount)),
            "commands": .array(result.hardLimits.samples.map(json)),
          ]),
        JSONValue.Member("verdicts", .array(result.verdicts.map(json))),
      ])
  }

  private func json(_ sample: SweepSample) -> JSONValue {
    [
      "run": .integer(Int64(sample.runNumber)), "limit": .string(sample.limit.text),
      "bare_was_first": .bool(sample.bareWasFirst), "pfs": json(sample.pfs), "bare": json(sample.bare),
    ]
  }

  private func json(_ figures: RoundTripFigures) -> JSONValue {
    ["put": json(figures.put), "get": json(figures.get), "stored_size": .integer(Int64(figures.storedByteCount))]
  }

  private func json(_ figures: StepFigures) -> JSONValue {
    [
      "wall_seconds": .double(figures.wallSeconds),
      "mb_per_second": .double(result.megabytesPerSecond(figures)),
      "user_seconds": .double(figures.userSeconds),
      "system_seconds": .double(figures.systemSeconds),
      "others_seconds": .double(figures.othersSeconds),
      "peak_anonymous": .integer(Int64(figures.peakAnonymousByteCount)),
      "peak_resident": .integer(Int64(figures.peakResidentByteCount)),
      "memory_samples": .integer(Int64(figures.sampleCount)),
    ]
  }

  private func json(_ sample: HardLimits.Sample) -> JSONValue {
    [
      "limit": .string(sample.limit.text), "command": .string(sample.step.rawValue),
      "exit_status": sample.exitStatus.map { .integer(Int64($0)) } ?? .null,
      "killed": .integer(Int64(sample.killCount)),
      "peak_group": sample.peakByteCount.map { .integer(Int64($0)) } ?? .null, "figures": json(sample.figures),
    ]
  }

  private func summary(_ limit: MemoryLimit) -> JSONValue {
    var members = [
      JSONValue.Member("limit", .string(limit.text)), JSONValue.Member("limit_bytes", .integer(Int64(limit.byteCount))),
    ]
    for step in SweepStep.allCases {
      members.append(JSONValue.Member("\(step)_mb_per_second", json(result.speed(step, at: limit))))
      members.append(JSONValue.Member("\(step)_of_bare", json(result.shareOfBare(step, at: limit))))
      members.append(
        JSONValue.Member("\(step)_processor_time_of_bare", json(result.processorShareOfBare(step, at: limit))))
      members.append(JSONValue.Member("\(step)_of_largest_limit", json(result.shareOfLargestLimit(step, at: limit))))
    }
    members.append(
      JSONValue.Member("peak_anonymous", .integer(Int64(result.peakAnonymousByteCount(at: limit)))))
    return .object(members)
  }

  private func json(_ spread: Spread?) -> JSONValue { spread?.json ?? .null }

  private func json(_ verdict: SweepResult.Verdict) -> JSONValue {
    [
      "target": .string(verdict.target), "limit": .string(verdict.limit), "unit": .string(verdict.unit),
      "value": .double(verdict.value), "bound": .double(verdict.bound), "met": .bool(verdict.isMet),
    ]
  }
}
