/// Guesses at what was meant by a word that is not known.
package enum Spelling {
  /// The candidate nearest to `typed` with at most two edits, or nil; of equally near ones the first.
  ///
  /// An edit inserts, deletes or replaces a character or swaps two neighbours (optimal string alignment, the
  /// restricted Damerau-Levenshtein distance). A word of which no character would stay suggests nothing.
  /// - Complexity: O(candidates * typed.count * their lengths)
  package static func suggestion(for typed: String, among candidates: [String]) -> String? {
    var best: (candidate: String, distance: Int)?
    for candidate in candidates where candidate != typed {
      guard abs(candidate.count - typed.count) <= 2 else { continue }
      let distance = editDistance(typed, candidate)
      guard distance <= 2, distance < max(typed.count, candidate.count), distance < best?.distance ?? .max else {
        continue
      }
      best = (candidate, distance)
    }
    return best?.candidate
  }

  static func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left), Array(right))
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in 0..<left.count {
      var current = [row + 1]
      for column in 0..<right.count {
        let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
        var cost = min(replaced, previous[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          cost = min(cost, beforePrevious[column - 1] + 1)
        }
        current.append(cost)
      }
      (beforePrevious, previous) = (previous, current)
    }
    return previous[right.count]
  }
}
