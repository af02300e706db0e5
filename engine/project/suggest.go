package project

import "github.com/hbollon/go-edlib"

// nearest returns the word that was probably meant, "" when none is near: at most one edit in three letters, a swap of
// two neighbours counting as one.
func nearest(word string, words []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, distance := "", max(1, len(word)/3)+1
	for _, w := range words {
		if d := edlib.OSADamerauLevenshteinDistance(word, w); d < distance && d < max(len(w), 2) {
			best, distance = w, d
		}
	}
	return best
}
