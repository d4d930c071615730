package windlass

import (
	"math"
	"time"

	windlassv1 "example.com/windlass/gen/windlass/v1"
)

const (
	progressEvery      = 250 * time.Millisecond // what a task says in between is replaced by what it says next
	progressCharacters = 1_000
)

// progress keeps the newest word of an attempt until it is sent: the first at once, the last before its outcome.
func (w *Worker) progress(a *attempt, done, total float64, message string) {
	if math.IsNaN(done) || math.IsInf(done, 0) || math.IsNaN(total) || math.IsInf(total, 0) {
		return
	}
	characters := []rune(cut(message, len(message)))
	word := &windlassv1.Progress{Done: done, Total: total, Message: string(characters[:min(len(characters), progressCharacters)])}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.report != nil {
		return
	}
	if a.word == nil {
		time.AfterFunc(time.Until(a.nextWordAt), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.words = append(w.words, a)
			w.change()
		})
	}
	a.word = word
}

// takeWords takes what is to be told of attempts that are still ours. The lock is held.
func (w *Worker) takeWords() []*windlassv1.TaskProgress {
	var words []*windlassv1.TaskProgress
	for _, a := range w.words {
		if lease := a.assignment.GetLeaseId(); a.word != nil && w.held[lease] == a {
			words = append(words, &windlassv1.TaskProgress{LeaseId: lease, RunId: a.assignment.GetRunId(), Progress: a.word})
			a.word, a.nextWordAt = nil, time.Now().Add(progressEvery)
		}
	}
	w.words = nil
	return words
}
