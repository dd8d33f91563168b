import CommandSupport

/// The middle and the ends of some measurements.
struct Spread: Hashable, Sendable {
  let median: Double
  let minimum: Double
  let maximum: Double

  /// Nil for no values. The median of an even number of values is the mean of the middle two.
  init?(_ values: [Double]) {
    let sorted = values.sorted()
    guard let minimum = sorted.first, let maximum = sorted.last else { return nil }
    self.minimum = minimum
    self.maximum = maximum
    median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  /// The spread of ratios of two measurements, of which the other was first in some runs: two that differ in that are
  /// brought together as their geometric mean, as long as there is a second one.
  init?(balancing ratios: [(ratio: Double, otherWasFirst: Bool)]) {
    let pairs = zip(ratios.filter(\.otherWasFirst), ratios.filter { !$0.otherWasFirst })
    let means = pairs.map { first, second in (first.ratio * second.ratio).squareRoot() }
    self.init(means.isEmpty ? ratios.map(\.ratio) : means)
  }

  func text(decimals: Int) -> String {
    let (least, most) = (FixedPoint.text(minimum, decimals: decimals), FixedPoint.text(maximum, decimals: decimals))
    return "\(FixedPoint.text(median, decimals: decimals)) [\(least)..\(most)]"
  }

  var json: JSONValue { ["median": .double(median), "min": .double(minimum), "max": .double(maximum)] }
}
