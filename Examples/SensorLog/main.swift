// sensor-log DIR DAYS: writes a log of so many days, 138 MB each, and reads some of it. With more days than memory
// holds it needs no more memory than with one.
import ChunkStore

guard CommandLine.arguments.count == 3, let dayCount = Int(CommandLine.arguments[2]), dayCount > 0 else {
  print("usage: sensor-log DIR DAYS")
  throw ExampleFailure.usage
}
let log = try SensorLog(at: FilePath(CommandLine.arguments[1]))
for day in 0..<dayCount {
  try log.record(day)
  print("day \(day): mean of sensor 7 is \(try log.mean(of: 7, on: day))")
}
print("\(try log.days().count) days, \(try log.days().count * SensorLog.readingsOfDay) readings")
for line in try log.store.dump("alarms", limit: 3) { print("alarm \(line)") }
try log.store.close()

enum ExampleFailure: Error { case usage }
