//go:build !race

package overwrite

const raceDetector = false
