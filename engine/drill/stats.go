package drill

import "math"

// Two spans are compared by one exact test: how likely is it that so much of the trouble fell into the
// later one by chance, if both are alike?
//
// A drill asks that for each of some dozen signs in each of N·(N-1) cells, so one in a hundred is too
// often for services that have trouble all day: theirs is a thousandth. One that had none in its
// baseline may keep a hundredth: to be accused by chance it has to be well all through the baseline and
// then fail in earnest, which happens to fewer than two in a thousand, whatever its rate.
const (
	levelCalm  = 0.01
	levelNoisy = 0.001
)

// level is the probability below which trouble is not put down to chance, of a service that had so
// much of it before. It falls by steps, so that one failure in a baseline does not change everything.
func level(before int) float64 {
	return max(levelCalm/float64((1+before)*(1+before)), levelNoisy)
}

// logChoose is the logarithm of n over k.
func logChoose(n, k int) float64 {
	return lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1)
}

func lgamma(n int) float64 {
	v, _ := math.Lgamma(float64(n))
	return v
}

// tail sums the probabilities of k, k+1 … most, which are given as logarithms. Where they fall, it ends
// once what is left cannot matter.
func tail(k, most int, log func(int) float64) float64 {
	sum, last := 0.0, math.Inf(-1)
	for i := k; i <= most; i++ {
		term := log(i)
		sum += math.Exp(term)
		if sum >= 1 || term < last && term < math.Log(sum)-30 {
			break
		}
		last = term
	}
	return min(sum, 1)
}

// sharesByChance is the probability that at least failed of asked fail, given that so many of all failed,
// and that they fail as often as those before: Fisher's exact test, one-sided.
func sharesByChance(failed, asked, failedBefore, askedBefore int) float64 {
	all, bad := asked+askedBefore, failed+failedBefore
	whole := logChoose(all, bad)
	return tail(max(failed, bad-askedBefore), min(asked, bad), func(i int) float64 {
		return logChoose(asked, i) + logChoose(askedBefore, bad-i) - whole
	})
}

// ratesByChance is the probability of at least n events in a span, given that so many came in all, and that
// they come as often as those before: the exact test of two Poisson rates. share is how long the span
// is, of both together.
func ratesByChance(n, before int, share float64) float64 {
	all := n + before
	return tail(n, all, func(i int) float64 {
		return logChoose(all, i) + float64(i)*math.Log(share) + float64(all-i)*math.Log1p(-share)
	})
}

// most is the greatest number up to n that chance explains; the probabilities fall with the number.
func most(n int, below float64, byChance func(int) float64) int {
	low, high := 0, n+1 // low is explained, high is not
	for high-low > 1 {
		if mid := (low + high) / 2; byChance(mid) >= below {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// failuresAllowed is how many of asked may fail by chance, where so many failed before.
func failuresAllowed(asked, failedBefore, askedBefore int) int {
	if askedBefore == 0 {
		return 0
	}
	return most(asked, level(failedBefore), func(k int) float64 {
		return sharesByChance(k, asked, failedBefore, askedBefore)
	})
}

// eventsAllowed is how many events there may be in a span by chance, where before came in another one:
// more are less probable than below. share is how long the span is, of both together.
func eventsAllowed(before int, share, below float64) int {
	if share <= 0 || share >= 1 {
		return math.MaxInt
	}
	high := 16
	for ratesByChance(high, before, share) >= below {
		high *= 2
	}
	return most(high, below, func(k int) float64 { return ratesByChance(k, before, share) })
}
